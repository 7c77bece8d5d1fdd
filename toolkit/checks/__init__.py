"""What is wrong with a data set: each module looks for one sort of fault, and gives findings."""
