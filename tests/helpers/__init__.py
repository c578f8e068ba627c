"""What several tests share: servers, peers, counts."""
