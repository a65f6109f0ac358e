"""The methods that there are: each takes frames one by one and makes a result of them."""
