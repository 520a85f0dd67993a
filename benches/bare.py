"""The bare calls of a rotation, as a script makes them: no proof, no journal, no way back."""

import os
import sys

import boto3
import hvac

user, path = sys.argv[1], sys.argv[2]
iam = boto3.client("iam", endpoint_url=os.environ["KEYROLL_TEST_MOTO"], region_name="us-east-1")
vault = hvac.Client(url=os.environ["KEYROLL_TEST_VAULT"], token=os.environ["KEYROLL_TEST_VAULT_TOKEN"])

old = vault.secrets.kv.v2.read_secret_version(path=path, raise_on_deleted_version=True)["data"]
new = iam.create_access_key(UserName=user)["AccessKey"]
vault.secrets.kv.v2.create_or_update_secret(
    path=path,
    secret={**old["data"], "access_key_id": new["AccessKeyId"], "secret_access_key": new["SecretAccessKey"]},
    cas=old["metadata"]["version"],
)
iam.update_access_key(UserName=user, AccessKeyId=old["data"]["access_key_id"], Status="Inactive")
iam.delete_access_key(UserName=user, AccessKeyId=old["data"]["access_key_id"])
