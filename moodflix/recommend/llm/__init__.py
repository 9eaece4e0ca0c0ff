"""Films from a local LLM through Ollama; nothing else imports its client."""
