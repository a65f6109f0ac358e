"""Raspberry Pi cameras by way of picamera2, and a twin of that library."""
