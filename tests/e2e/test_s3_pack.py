#!/usr/bin/env python3
"""mic-pack on a bucket of a real S3 server."""

import forge
import test_pack

if __name__ == "__main__":
    forge.main([test_pack.test_packs], lambda _: forge.s3_place())
