"""What is simulated: encoder, data, loss, training schemes, the federated loop."""
