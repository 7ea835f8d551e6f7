"""Makes the bucket that keeps versions, or deletes everything in it, as an intruder would: versions.py make, versions.py empty."""

from __future__ import annotations

import sys

import boto3

BUCKET = "versions"

store = boto3.client(
    "s3",
    endpoint_url="http://127.0.0.1:9447",
    region_name="us-east-1",
    aws_access_key_id="pgstead",
    aws_secret_access_key="any",
)
if sys.argv[1] == "make":
    store.create_bucket(Bucket=BUCKET)
    store.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
else:
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for found in page.get("Contents", []):
            store.delete_object(Bucket=BUCKET, Key=found["Key"])
