# For `plan`, `doctor` and `identify`: reads, and logs in with the key that it tries. It can change nothing.
path "auth/approle/role/app" { capabilities = ["read"] }
path "auth/approle/role/app/role-id" { capabilities = ["read"] }
path "auth/approle/role/app/secret-id" { capabilities = ["list"] }
path "auth/approle/role/app/secret-id/lookup" { capabilities = ["update"] }
path "auth/approle/role/app/secret-id-accessor/lookup" { capabilities = ["update"] }
path "secret/data/ai/openai" { capabilities = ["read"] }
path "secret/metadata/ai/openai" { capabilities = ["read"] }

# In Vault's `default` policy already, unless the token is made without it.
path "sys/capabilities-self" { capabilities = ["update"] }
