"""keepbest: experiments that stop when they should, keep the best weights and can prove it."""
