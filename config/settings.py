"""Every setting, read once from the environment. `docs/reference/settings.md` lists them for operators.

Any variable may instead come from a file named by NAME_FILE, as container secrets do.
"""

from __future__ import annotations

import logging
from argparse import ArgumentTypeError
from pathlib import Path
from urllib.parse import unquote, urlsplit

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

from channels_app.infrastructure.db import POLICY
from channels_app.registry import redirects
from config import broker, components, embedded, logs, sso, unfold_settings
from config.env import Env, check_address, give_aws_its_files
from config.local_secrets import local_secret
from config.ports import port_number
from config.schedule import beat_schedule

django_stubs_ext.monkeypatch()  # so that ModelAdmin[Account] means something at run time too

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = embedded.var_dir()

env = Env()
give_aws_its_files()


# ── where we are ──────────────────────────────────────────────────────────────────────────────────────────────────────
DEBUG = env.bool("DEBUG", False)
try:
    PORT = port_number(env.str("PORT", "8000"))
except ArgumentTypeError as _problem:
    raise ImproperlyConfigured(f"PORT: {_problem}") from None
PUBLIC_BASE_URL = env.address("PUBLIC_BASE_URL", f"http://127.0.0.1:{PORT}")
_public = urlsplit(PUBLIC_BASE_URL)
#: Parley on this machine alone, over plain HTTP: cookies need no TLS then.
IS_LOCAL = _public.scheme == "http" and _public.hostname in ("127.0.0.1", "localhost", "::1")

SECRET_KEY = env.str("SECRET_KEY", "") or local_secret(VAR_DIR / "secrets", "secret_key")
#: Former keys, whose sessions and links still count: put the old one here when SECRET_KEY is replaced.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
#: The first encrypts credentials, all decrypt. Any text will do: keys are derived from it.
FIELD_ENCRYPTION_KEYS = env.list("FIELD_ENCRYPTION_KEYS", default=[]) or [
    local_secret(VAR_DIR / "secrets", "field_key")
]

ALLOWED_HOSTS = [*{_public.hostname, "127.0.0.1", "localhost", "[::1]"}, *env.list("ALLOWED_HOSTS", default=[])]
CSRF_TRUSTED_ORIGINS = [PUBLIC_BASE_URL]

#: Where tests may kill, stall or break this process: channels_app/infrastructure/failpoints.py. Never on a Parley that
#: others reach.
FAILPOINTS = env.str("PARLEY_FAILPOINTS", "")
if FAILPOINTS and not IS_LOCAL:
    raise ImproperlyConfigured("PARLEY_FAILPOINTS is for tests on this machine: unset it, or unset PUBLIC_BASE_URL")

# ── Django ────────────────────────────────────────────────────────────────────────────────────────────────────────────
INSTALLED_APPS = [*components.INSTALLED_APPS]
MIDDLEWARE = components.MIDDLEWARE
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
LANGUAGE_CODE = "en"
TIME_ZONE = env.zone("TIME_ZONE", "UTC")
USE_TZ = True
FORMAT_MODULE_PATH = "config.formats"
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]  # what pages of several apps share
WHITENOISE_USE_FINDERS = True  # served from the packages themselves: no collectstatic step, no STATIC_ROOT
LOGIN_URL = "account_login"

# ── database, broker, channel layer: one PostgreSQL unless URLs are set ───────────────────────────────────────────────
DATABASE_URL = env.str("DATABASE_URL", "") or embedded.url(VAR_DIR)
check_address("DATABASE_URL", DATABASE_URL, ("postgresql", "postgres", "pgsql", "psql"))
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
DATABASES["default"]["HOST"] = unquote(DATABASES["default"]["HOST"])  # a socket's folder comes percent-encoded
DATABASES["default"]["ENGINE"] = "config.postgresql"
DATABASES["default"]["OPTIONS"] = {**POLICY, **DATABASES["default"].get("OPTIONS", {})}
# A pool for each process: under ASGI every request may come in another thread, and each thread would keep a connection.
DATABASES["default"]["CONN_MAX_AGE"] = 0
DATABASES["default"]["OPTIONS"]["pool"] = {"max_size": env.number("DATABASE_POOL_SIZE", 10, least=1), "timeout": 10}

REDIS_URL = env.address("REDIS_URL", "", schemes=("redis", "rediss"))
if REDIS_URL:
    _hosts = [{"address": REDIS_URL, **broker.REDIS}]
    CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": _hosts}}
    }
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {**broker.REDIS, "socket_timeout": broker.SILENCE},
        }
    }
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "config.channel_layer.ChannelLayer"}}
    CACHES = {
        "default": {
            "BACKEND": "config.cache.SteadyCache",  # rate limits are counted there
            "LOCATION": "django_cache",
            "OPTIONS": {"MAX_ENTRIES": 10_000},
        }
    }
    INSTALLED_APPS.append("channels_postgres")  # the channel layer of earlier versions: its tables are there, and empty

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", "") or embedded.broker_url(DATABASE_URL)
broker.check_url(CELERY_BROKER_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # LOGGING below counts for the worker too
CELERY_BEAT_SCHEDULER = "config.beat:SteadyScheduler"  # keeps no file that could be missing, read-only or spoilt
#: Seconds between two questions to a messenger for what its webhooks did not bring; 0: it is never asked.
INBOUND_POLL_SECONDS = env.number("INBOUND_POLL_SECONDS", 300.0, least=0)
#: Tasks that one worker process runs at a time. Each waits 50 to 300 ms for a messenger, so many more than cores.
WORKER_CONCURRENCY = env.number("WORKER_CONCURRENCY", 16, least=1, most=1_000)
CELERY_TASK_DEFAULT_QUEUE = env.str("CELERY_QUEUE", "parley")
#: Seconds after which a broker gives an unacknowledged task to another worker: above the longest task.
BROKER_VISIBILITY_TIMEOUT = 300
CELERY_BROKER_TRANSPORT_OPTIONS = broker.transport_options(CELERY_BROKER_URL, BROKER_VISIBILITY_TIMEOUT)
CELERY_BROKER_HEARTBEAT = 10  # seconds; RabbitMQ's connections: half of that without a word, and it is asked

# ── Amazon Connect. Region, keys and AWS_ENDPOINT_URL_* are the SDK's own variables ───────────────────────────────────
CONNECT_INSTANCE_ID = env.str("CONNECT_INSTANCE_ID", "")
CONNECT_CONTACT_FLOW_ID = env.str("CONNECT_CONTACT_FLOW_ID", "")
#: Whether a new chat shows the customer's last one: ENTIRE_PAST_SESSION or FROM_SEGMENT in Connect's words. Empty: no.
CONNECT_PERSISTENT_CHAT = env.str("CONNECT_PERSISTENT_CHAT", "")
if CONNECT_PERSISTENT_CHAT not in ("", "ENTIRE_PAST_SESSION", "FROM_SEGMENT"):
    raise ImproperlyConfigured(
        f"CONNECT_PERSISTENT_CHAT={CONNECT_PERSISTENT_CHAT!r}: give ENTIRE_PAST_SESSION, FROM_SEGMENT or nothing"
    )

# ── dashboards ────────────────────────────────────────────────────────────────────────────────────────────────────────
#: When agents answer, in TIME_ZONE, e.g. "Mon-Fri 09:00-18:00, Sat 10:00-14:00". Empty: always.
OFFICE_HOURS = env.str("OFFICE_HOURS", "")
#: Seconds in which half of the first responses should come: the mark on the dashboard.
FIRST_RESPONSE_TARGET = env.number("FIRST_RESPONSE_TARGET", 300.0, least=0)
#: Sentiment is asked for at Amazon Comprehend (AWS_ENDPOINT_URL_COMPREHEND respected).
SENTIMENT_ENABLED = env.bool("SENTIMENT_ENABLED", True)
#: What stands behind that address, as pages name it.
SENTIMENT_ENGINE = env.str("SENTIMENT_ENGINE", "Amazon Comprehend")
#: Language of texts that nobody tells and that are too short to detect.
SENTIMENT_LANGUAGE = env.str("SENTIMENT_LANGUAGE", "en")
#: Longer texts are split: Amazon once documented that only 500 characters are read. At most 5,000 bytes in any case.
SENTIMENT_SPLIT_CHARACTERS = env.number("SENTIMENT_SPLIT_CHARACTERS", 500, least=1)
#: Seconds for which a text waits for others to fill its batch of 25.
SENTIMENT_LINGER = env.number("SENTIMENT_LINGER", 1.0, least=0, most=3600)
#: Most units of 100 characters a day (UTC), of all operations together; what is left waits for the next day. 0: no cap.
SENTIMENT_DAILY_UNITS = env.number("SENTIMENT_DAILY_UNITS", 500_000, least=0)
#: US dollars for one unit, for the cost that is shown.
SENTIMENT_UNIT_PRICE = env.number("SENTIMENT_UNIT_PRICE", 0.0001, least=0)
#: Ask for the key phrases of negative messages.
SENTIMENT_PHRASES = env.bool("SENTIMENT_PHRASES", True)
#: Numbers that identify people, and addresses, are masked before a text leaves for the engine.
SENTIMENT_MASK = env.bool("SENTIMENT_MASK", True)

#: Where e-mails of alerts and reports go out, e.g. smtp+tls://user:password@smtp.example.com:587. Empty: none are sent.
EMAIL_URL = env.str("EMAIL_URL", "")
if EMAIL_URL:
    check_address("EMAIL_URL", EMAIL_URL, env.EMAIL_SCHEMES)
    vars().update(env.email_url_config(EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", "parley@localhost")
#: Hosts, "name" or "name:port", that webhooks of alerts may go to, inside the network too. Empty: all of the internet.
ALERT_WEBHOOK_HOSTS = env.list("ALERT_WEBHOOK_HOSTS", default=[])

# ── Connect's events and queues ───────────────────────────────────────────────────────────────────────────────────────
#: EventBridge sends contact events to /connect/contact-events/ with this in the header X-Parley-Token. Empty: none.
CONTACT_EVENTS_TOKEN = env.str("CONTACT_EVENTS_TOKEN", "")
#: An SQS queue that EventBridge puts contact events into instead.
CONTACT_EVENTS_QUEUE_URL = env.str("CONTACT_EVENTS_QUEUE_URL", "")
#: Ids of queues of CONNECT_INSTANCE_ID for which GetCurrentMetricData is asked.
CONNECT_QUEUES = env.list("CONNECT_QUEUES", default=[])
#: Lines of the customer's last chat that a new one begins with, shown to the agent alone; 0: none.
CONNECT_BRIEFING_LINES = env.number("CONNECT_BRIEFING_LINES", 0, least=0)

# ── transcripts ───────────────────────────────────────────────────────────────────────────────────────────────────────
#: DynamoDB table that a copy of all messages is kept in; empty: none.
DYNAMODB_TABLE = env.str("DYNAMODB_TABLE", "")

#: Days after which each class of data is emptied; 0: never.
MOST_DAYS = 100 * 366
RETAIN_RAW_DAYS = env.number("RETAIN_RAW_DAYS", 0, least=0, most=MOST_DAYS)
RETAIN_WORDS_DAYS = env.number("RETAIN_WORDS_DAYS", 0, least=0, most=MOST_DAYS)
RETAIN_CALLS_DAYS = env.number("RETAIN_CALLS_DAYS", 0, least=0, most=MOST_DAYS)

# ── periodic tasks ────────────────────────────────────────────────────────────────────────────────────────────────────
CELERY_BEAT_SCHEDULE = beat_schedule(
    inbound_poll_seconds=INBOUND_POLL_SECONDS,
    reads_contact_events=bool(CONTACT_EVENTS_QUEUE_URL),
    reads_queues=bool(CONNECT_QUEUES),
    copies_to_dynamodb=bool(DYNAMODB_TABLE),
)

# ── the messengers' APIs ──────────────────────────────────────────────────────────────────────────────────────────────
#: What the SDKs believe → where calls really go. Each channel says by which variable: X_API_BASE_URL, …
HTTP_REDIRECTS = redirects(env.address)

# ── webhooks ──────────────────────────────────────────────────────────────────────────────────────────────────────────
#: POSTs are taken in front of Django (fast) and by Django REST Framework; either can be switched off.
WEBHOOK_FAST_LANE = env.bool("WEBHOOK_FAST_LANE", True)
WEBHOOK_DJANGO_LANE = env.bool("WEBHOOK_DJANGO_LANE", True)
#: Refuse webhooks that did not reach the proxy over TLS (it must set X-Forwarded-Proto).
WEBHOOK_REQUIRE_HTTPS = env.bool("WEBHOOK_REQUIRE_HTTPS", False)
DATA_UPLOAD_MAX_MEMORY_SIZE = 3 * 1024 * 1024  # the largest webhook that any messenger sends (Meta)

# ── security of the pages ─────────────────────────────────────────────────────────────────────────────────────────────
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not IS_LOCAL
#: Over HTTPS, a name that the browser keeps for this host alone: a neighbour under the same domain cannot set ours.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = (
    ("__Host-sessionid", "__Host-csrftoken") if SESSION_COOKIE_SECURE else ("sessionid", "csrftoken")
)
SECURE_SSL_REDIRECT = False  # the proxy's business: a redirected webhook is a lost webhook
SECURE_HSTS_SECONDS = 0 if IS_LOCAL else env.number("SECURE_HSTS_SECONDS", 31_536_000, least=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not IS_LOCAL
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_TLS_PROXY", not IS_LOCAL) else None
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = components.CONTENT_SECURITY_POLICY
#: Who may frame the page that stands beside a chat: Amazon Connect's own workspace by default.
AGENT_WORKSPACE_ORIGINS = env.list(
    "AGENT_WORKSPACE_ORIGINS", default=["https://*.my.connect.aws", "https://*.awsapps.com"]
)
SILENCED_SYSTEM_CHECKS = ["security.W008"]  # SECURE_SSL_REDIRECT, see above
AUTH_PASSWORD_VALIDATORS = components.AUTH_PASSWORD_VALIDATORS

# ── API ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
#: Days after which a token of the API ends, unless it was made for fewer.
API_TOKEN_DAYS = env.number("API_TOKEN_DAYS", 90, least=1, most=3650)
REST_FRAMEWORK = components.REST_FRAMEWORK
SPECTACULAR_SETTINGS = components.SPECTACULAR_SETTINGS

# ── sign-in ───────────────────────────────────────────────────────────────────────────────────────────────────────────
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "people.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]  # nobody signs up; the library insists on knowing how one would
ACCOUNT_FORMS = {"reset_password": "people.reset.ResetForm"}
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_NOTIFICATIONS = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Parley] "
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody who has no account here hears from us
#: Five wrong passwords in five minutes for one name from one address, twenty for one address (people/limits.py).
ACCOUNT_RATE_LIMITS = {"login_failed": "20/5m/ip,5/5m/key", "login": "30/m/ip"}
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if SECURE_PROXY_SSL_HEADER else 0
MFA_ADAPTER = "people.adapters.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Parley"
MFA_TOTP_TOLERANCE = 1  # a phone may be half a minute off
MFA_ALLOW_UNVERIFIED_EMAIL = True  # accounts are made by an Admin; no e-mail is sent to prove an address
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = IS_LOCAL
#: Whether whoever signs in with a password needs a second factor.
REQUIRE_MFA = env.bool("REQUIRE_MFA", False)
SOCIALACCOUNT_ADAPTER = "people.adapters.SocialAccountAdapter"
SOCIALACCOUNT_PROVIDERS = sso.providers(env)
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False  # a directory's word for an address is not a password
SSO_GROUPS = sso.groups(env)
SSO_GROUPS_CLAIM = env.str("SSO_GROUPS_CLAIM", "groups")
LOGIN_REDIRECT_URL = "admin:index"
SESSION_COOKIE_AGE = env.number("SESSION_SECONDS", 12 * 3600, least=60, most=366 * 86_400)

# ── admin ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
#: What every page of the admin says of this installation: whose data it shows.
ENVIRONMENT_LABEL = env.str("ENVIRONMENT_LABEL", "" if IS_LOCAL else "Production")
UNFOLD = unfold_settings.UNFOLD

#: Who sends it as a bearer token sees the figures of /-/health/ and /-/metrics/ from elsewhere. Empty: nobody does.
MONITORING_TOKEN = env.str("MONITORING_TOKEN", "")

# ── sandbox ───────────────────────────────────────────────────────────────────────────────────────────────────────────
#: Where the simulated outside world answers; empty outside the sandbox, and then there is no sandbox page.
SANDBOX_WORLD_URL = env.address("SANDBOX_WORLD_URL", "")

# ── logs: to standard error, never a message text, token or phone number ──────────────────────────────────────────────
LOG_LEVEL = env.str("LOG_LEVEL", "INFO").strip().upper()
if LOG_LEVEL not in logging.getLevelNamesMapping():
    raise ImproperlyConfigured("LOG_LEVEL is no such level: give DEBUG, INFO, WARNING, ERROR or CRITICAL")
LOGGING_CONFIG = "logging.config.dictConfig" if DEBUG else "config.logs.configure"
LOGGING = logs.configuration(LOG_LEVEL, discreet=not DEBUG)
