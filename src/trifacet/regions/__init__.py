"""Where in a picture the words of a response are: key words, locators, masks, and the file that keeps them."""
