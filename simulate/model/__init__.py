"""The model that every engine trains: image features, text encoder, loss, training schemes, federated rounds."""
