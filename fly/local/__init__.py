"""Fly, on one machine: its Machines API and its waking proxy, on real Docker containers."""
