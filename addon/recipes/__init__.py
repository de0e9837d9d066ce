# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes: what a headless Blender does for a job, in a process of its own.

A recipe is a module with ``main(params, progress) -> dict``. It imports only what Blender bundles,
``bridge.problems``, ``bridge.glb`` and its siblings. ``run.py`` starts one.
"""
