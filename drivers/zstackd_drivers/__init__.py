"""Cameras and focus axes, and the simulated twins that stand in for them.

Here: what an axis (`axis`) and a camera (`camera`) can do, and from a rig's settings to open ones
(`factory`). A folder for each controller and camera, its twin beside it; and what they share:
`serial` the line, `stepping` the axis upon any controller, `capture` fresh and locked frames,
`firmware` the twins' port, motor and faults, `specimens` what a camera twin sees.
"""
