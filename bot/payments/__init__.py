"""The payment room of the bot: it asks for money, takes it in, gives it back, and says so.

Money comes in beside the inbox of chats, not through it: an update about a payment waits behind no other update, is held up by no
throttle and no ban, is never too old and is never given up (`cashier`). What it means is decided in the database, by led_pay.
"""
