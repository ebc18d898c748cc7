"""What a client sees: the GraphQL API over the repository, its server and its command line."""
