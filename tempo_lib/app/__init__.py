"""Where people meet the model: the explorer in notebooks, the web page, the chat endpoint."""
