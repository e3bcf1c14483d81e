"""What tasks share: starts, patients held out, cards, label maps, evaluations."""
