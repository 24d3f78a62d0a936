"""``python -m voicecore``."""

import sys

from voicecore.commands import main

sys.exit(main())
