# Reads and writes one KV v2 secret, and leaves keyroll's mark beside it.
path "secret/data/ai/openai" { capabilities = ["create", "read", "update"] }
path "secret/metadata/ai/openai" { capabilities = ["read", "patch"] }

# In Vault's `default` policy already, unless the token is made without it.
path "sys/capabilities-self" { capabilities = ["update"] }
