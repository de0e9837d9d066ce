# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: isolation, the guard around the network, the searches afterwards."""
