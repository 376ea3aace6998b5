"""What a recoder is compared with: plain noise, and other ways to restrict a data set's use."""
