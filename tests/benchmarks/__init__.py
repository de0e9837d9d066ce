# SPDX-License-Identifier: GPL-3.0-or-later
"""Times beside those of other tools, in one run, as ratios. Nothing here is asserted."""
