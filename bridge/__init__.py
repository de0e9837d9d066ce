# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge: jobs that outlive Blender.

The same code serves the extension inside Blender, the detached worker and the command line.
It never imports bpy, and importing this package imports nothing else.
"""

__version__ = "0.1.0"
