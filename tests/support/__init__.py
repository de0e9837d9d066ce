# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: isolation, the guard around the network, and the searches after a session."""
