"""An IAM user with one key, and that key in Vault."""

import os
import sys

import boto3
import hvac

user, path = sys.argv[1], sys.argv[2]
iam = boto3.client("iam", endpoint_url=os.environ["KEYROLL_TEST_MOTO"], region_name="us-east-1")
vault = hvac.Client(url=os.environ["KEYROLL_TEST_VAULT"], token=os.environ["KEYROLL_TEST_VAULT_TOKEN"])
iam.create_user(UserName=user)
key = iam.create_access_key(UserName=user)["AccessKey"]
vault.secrets.kv.v2.create_or_update_secret(
    path=path, secret={"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
)
