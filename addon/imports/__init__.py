# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished results come into the artist's scene: new data-blocks in a new collection, nothing else.

`simready` is the entry for SimReady USD files. Nothing here touches the network or starts threads.
"""
