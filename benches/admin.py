"""An administrator of moto, whose authentication is on from here: without it a deleted key still works. Prints id and secret."""

import json
import os
import urllib.request
import uuid

import boto3

MOTO = os.environ["KEYROLL_TEST_MOTO"]


def authenticate(after):
    """From this many requests on, signatures and policies are checked."""
    request = urllib.request.Request(
        f"{MOTO}/moto-api/reset-auth", data=after.encode(), headers={"Content-Type": "text/plain"}, method="POST"
    )
    urllib.request.urlopen(request).close()


authenticate("inf")
iam = boto3.client("iam", endpoint_url=MOTO, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
name = f"bench-admin-{uuid.uuid4()}"
policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
iam.create_user(UserName=name)
iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
key = iam.create_access_key(UserName=name)["AccessKey"]
authenticate("0")
print(key["AccessKeyId"], key["SecretAccessKey"])
