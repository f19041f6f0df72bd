"""Starts a run of workflow.yaml over RabbitMQ and waits for the answer: start.py [URL] [NAME] [KEY]"""
import json, os, sys, uuid
import pika

URL = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("OARLOCK_BROKER", "amqp://guest:guest@127.0.0.1:5672")
NAME = sys.argv[2] if len(sys.argv) > 2 else "Ada"
KEY = sys.argv[3] if len(sys.argv) > 3 else str(uuid.uuid4())  # The same key starts one run, however often it is sent.

parameters = pika.URLParameters(URL)
channel = pika.BlockingConnection(parameters).channel()
channel.confirm_delivery()
answers = channel.queue_declare("", exclusive=True).method.queue
request = {"format": 1, "workflow": "greet", "input": {"name": NAME}, "key": KEY}
named = {"message_id": KEY, "correlation_id": KEY, "reply_to": answers, "type": "oarlock.start"}
# The broker lets nobody name another user than the one who is logged in.
named |= {"user_id": parameters.credentials.username, "content_type": "application/json", "delivery_mode": 2}
channel.basic_publish("oarlock.start", "", json.dumps(request), pika.BasicProperties(**named), mandatory=True)
for _, properties, body in channel.consume(answers, auto_ack=True, inactivity_timeout=30):
    if body is None:
        sys.exit(f"no answer within 30 s; asking again with the key {KEY} is safe")
    answer = json.loads(body)
    if properties.correlation_id == KEY:
        print(json.dumps(answer))
        sys.exit(0 if answer["status"] == "ACCEPTED" else 1)
