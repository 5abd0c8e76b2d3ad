"""What the services of docker-compose.yml start with and are asked: keys, databases, entry, health."""
