"""What all firmware twins share: port, motor, screw, and scripted faults."""
