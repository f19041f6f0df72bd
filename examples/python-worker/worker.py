"""A worker in Python. Takes tasks from one queue of RabbitMQ and answers each when it is done: worker.py [URL]"""
import datetime, json, os, sys, time, uuid
import pika

URL = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("OARLOCK_BROKER", "amqp://guest:guest@127.0.0.1:5672")
WORKER = "python-" + uuid.uuid4().hex[:12]  # Another one at every start.
BEAT_S = 5


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


DONE = {"startedAt": now(), "completed": 0, "failed": 0}


def greet(input):
    if not input.get("name"):
        raise ValueError("there is no name to greet")
    return {"text": "Hello, " + input["name"]}


TASKS = {"text.greet": greet}


def execute(task):
    if task["task"] not in TASKS:
        return {"status": "REFUSED"}
    try:
        return {"status": "COMPLETED", "output": TASKS[task["task"]](task["input"])}
    except Exception as error:  # A wrong input is wrong again next time; anything else may pass.
        name, retryable = type(error).__name__, not isinstance(error, ValueError)
        return {"status": "FAILED", "error": {"code": name, "message": str(error), "retryable": retryable}}


def on_task(channel, method, properties, body):
    try:
        task, begun = json.loads(body), time.monotonic()
        context = task["executionContext"]
        address = {name: context[name] for name in ("workflowInstanceId", "taskPath", "executionId")}
        address["tenantId"] = context["securityContext"]["tenantId"]
    except (ValueError, LookupError, TypeError):  # Nobody can answer it: the orchestrator looks after dead letters.
        return channel.basic_reject(method.delivery_tag, requeue=False)
    result = {"format": 1, **address, "workerId": WORKER, **execute(task)}
    result["metrics"] = {"executionTimeMs": int((time.monotonic() - begun) * 1000)}
    result["deliveries"] = 1 + (properties.headers or {}).get("x-delivery-count", 0)
    id = context["executionId"]
    named = pika.BasicProperties(type="oarlock.result", message_id=id + "-result", correlation_id=id,
                                 content_type="application/json", delivery_mode=2)
    # Returns when the broker has it and raises when it has not: then the task goes back to its queue.
    channel.basic_publish("", properties.reply_to, json.dumps(result), named, mandatory=True)
    channel.basic_ack(method.delivery_tag)
    DONE["lastActive"] = now()
    if result["status"] in ("COMPLETED", "FAILED"):
        DONE[result["status"].lower()] += 1


def beat(connection, told=None):
    """Tells the fleet that this worker lives, on a channel of its own: where nobody listens yet, the broker closes it."""
    told = told if told and told.is_open else connection.channel()
    body = {"format": 1, "workerId": WORKER, "host": os.uname().nodename, "version": "worker.py", "sentAt": now(), **DONE,
            "beatMs": BEAT_S * 1000, "queues": list(TASKS), "tasks": list(TASKS), "slots": 1, "open": 0}
    named = pika.BasicProperties(type="oarlock.beat", content_type="application/json")
    told.basic_publish("oarlock.fleet", "worker." + WORKER, json.dumps(body), named)
    connection.call_later(BEAT_S, lambda: beat(connection, told))


while True:
    try:
        with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.basic_qos(prefetch_count=8)
            channel.basic_consume("oarlock.tasks.text.greet", on_task)
            beat(connection)
            print(WORKER, "waits for tasks", flush=True)
            channel.start_consuming()
    except pika.exceptions.AMQPError as error:  # No broker yet, no queue yet, or one of them is gone.
        print("again in 2 s:", repr(error), file=sys.stderr, flush=True)
        time.sleep(2)
