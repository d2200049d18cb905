"""What is looked for and what it means: rules, cues, variants and standards as data, with their schema and loader."""
