#!/usr/bin/env python3
"""mic-replay on a bucket of a real S3 server."""

import forge
import test_replay

if __name__ == "__main__":
    forge.main([test_replay.test_verify_and_into], lambda _: forge.s3_place())
