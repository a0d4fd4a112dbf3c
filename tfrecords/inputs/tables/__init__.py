"""Tables that name pictures: their text, their columns, and the files that their rows stand for."""
