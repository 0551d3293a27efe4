"""A local server of the OpenAI API: files, fine-tuning jobs, events, models, chat completions, batches, over HTTP.

It speaks to the unmodified `openai` client. Fine-tuning really trains the pocket model through Axolotl; chat really
asks the checkpoint. It remembers every request, and makes faults on demand.
"""
