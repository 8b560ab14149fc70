"""What a .lat file holds and costs, for programs and for people. No torch."""
