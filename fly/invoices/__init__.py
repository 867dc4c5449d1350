"""What users are asked to pay: invoices with numbers that stay, and reminders."""
