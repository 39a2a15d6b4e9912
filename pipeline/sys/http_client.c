#include "pipeline/sys/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define CONNECT_MS   10000u
#define STALL_MS     120000u
#define TRIES        4u
#define BODY_MAX     (16u * 1024 * 1024)
#define HEAD_MAX     (64u * 1024)
#define PAUSE_MAX_MS 5000u
#define BUFFER_SIZE  (512u * 1024)
#define IDLE_S       30L /* a kept connection that was idle for longer is not used again */

struct http_client {
    struct http_client_options options;
    CURLM *multi;
    CURL *idle[HTTP_PARALLEL_MAX];
    unsigned n_idle;
};

/* A call under way. */
struct flight {
    struct http_client *client;
    struct http_call *call;
    CURL *easy;
    struct curl_slist *headers;
    size_t sent; /* of what `source` gives */
    bool asked;  /* a connection stood, and the request may be on its way */
    bool cut;    /* that connection ended, and curl wanted to send it again */
    int stopped; /* what a callback gave up with */
    unsigned tries;
    uint64_t resume_us; /* waiting for another try until then; 0: in flight */
    char error[CURL_ERROR_SIZE];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_client_open(const struct http_client_options *options, struct http_client **out)
{
    (void)pthread_once(&curl_once, curl_start);
    struct http_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        abort();
    client->options = *options;
    if (client->options.connect_ms == 0)
        client->options.connect_ms = CONNECT_MS;
    if (client->options.stall_ms == 0)
        client->options.stall_ms = STALL_MS;
    if (client->options.tries == 0)
        client->options.tries = TRIES;
    if (client->options.buffer_size == 0)
        client->options.buffer_size = BUFFER_SIZE;
    client->multi = curl_multi_init();
    if (client->multi == NULL) {
        free(client);
        return ERR_AGAIN;
    }
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_PARALLEL_MAX);
    *out = client;
    return OK;
}

void http_client_close(struct http_client *client)
{
    if (client == NULL)
        return;
    for (unsigned i = 0; i < client->n_idle; i++)
        curl_easy_cleanup(client->idle[i]);
    curl_multi_cleanup(client->multi);
    free(client);
}

void http_call_release(struct http_call *call)
{
    buf_release(&call->body);
    buf_release(&call->head);
}

bool http_header(const struct http_call *call, const char *name, struct bytes *out)
{
    size_t len = strlen(name);
    const char *at = (const char *)call->head.data;
    const char *end = at + call->head.len;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            line_end = end;
        if ((size_t)(line_end - at) > len && at[len] == ':' &&
            strncasecmp(at, name, len) == 0) {
            const char *value = at + len + 1;
            while (value < line_end && *value == ' ')
                value++;
            while (line_end > value && (line_end[-1] == ' ' || line_end[-1] == '\t'))
                line_end--;
            *out = bytes_of(value, (size_t)(line_end - value));
            return true;
        }
        at = line_end + 1;
    }
    return false;
}

bool http_date_ms(const struct http_call *call, uint64_t *out)
{
    struct bytes value;
    char text[64];
    if (http_header(call, "age", &value) || !http_header(call, "date", &value) ||
        value.len >= sizeof(text))
        return false;
    memcpy(text, value.data, value.len);
    text[value.len] = '\0';
    time_t seconds = curl_getdate(text, NULL);
    if (seconds <= 0)
        return false;
    *out = (uint64_t)seconds * 1000;
    return true;
}

bool http_retry_after_ms(const struct http_call *call, uint64_t *out)
{
    struct bytes value;
    if (!http_header(call, "retry-after", &value) || value.len == 0 || value.len > 6)
        return false;
    uint64_t seconds = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        seconds = seconds * 10 + (uint64_t)(value.data[i] - '0');
    }
    *out = seconds * 1000;
    return true;
}

void http_escape(struct buf *out, struct bytes text, bool path)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~' ||
                     (path && c == '/');
        const char spelled[3] = {'%', hex[c >> 4], hex[c & 15]};
        if (plain)
            buf_append(out, &c, 1);
        else
            buf_append(out, spelled, sizeof(spelled));
    }
}

/* ---- curl's callbacks ------------------------------------------------------------------- */

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct flight *flight = arg;
    size_t len = size * n;
    struct buf *head = &flight->call->head;
    /* Each status line begins the headers anew: of an interim answer nothing is kept. */
    if (len > 5 && memcmp(data, "HTTP/", 5) == 0) {
        buf_clear(head);
        return len;
    }
    size_t text = len;
    while (text > 0 && (data[text - 1] == '\r' || data[text - 1] == '\n'))
        text--;
    if (text == 0)
        return len;
    if (head->len + text > HEAD_MAX) {
        flight->stopped = ERR_LIMIT;
        return 0;
    }
    buf_append(head, data, text);
    buf_append(head, "\n", 1);
    return len;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct flight *flight = arg;
    struct http_call *call = flight->call;
    size_t len = size * n;
    long status = 0;
    curl_easy_getinfo(flight->easy, CURLINFO_RESPONSE_CODE, &status);
    call->status = (int)status;
    if (call->sink.write != NULL && (status == 200 || status == 206)) {
        flight->stopped = call->sink.write(call->sink.arg, bytes_of(data, len));
        return flight->stopped == OK ? len : 0;
    }
    size_t max = call->body_max == 0 ? BODY_MAX : call->body_max;
    if (len > max - call->body.len) {
        flight->stopped = ERR_LIMIT;
        return 0;
    }
    buf_append(&call->body, data, len);
    return len;
}

static size_t on_read(char *out, size_t size, size_t n, void *arg)
{
    struct flight *flight = arg;
    struct http_source *source = &flight->call->source;
    long got = source->read(source->arg, (uint8_t *)out, size * n);
    if (got < 0) {
        flight->stopped = (int)got;
        return CURL_READFUNC_ABORT;
    }
    flight->sent += (size_t)got;
    return (size_t)got;
}

static int rewind_body(struct flight *flight)
{
    struct http_source *source = &flight->call->source;
    if (source->read != NULL && flight->sent > 0) {
        if (source->rewind == NULL)
            return ERR_INVALID;
        int err = source->rewind(source->arg);
        if (err != OK)
            return err;
    }
    flight->sent = 0;
    return OK;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
    if (offset != 0 || origin != SEEK_SET || rewind_body(arg) != OK)
        return CURL_SEEKFUNC_CANTSEEK;
    return CURL_SEEKFUNC_OK;
}

/* curl sends a request again by itself when a kept connection ends without an answer. Whether
 * the server acted on the first one nobody knows, so that is for reads only. */
static int on_request(void *arg, char *there UNUSED, char *here UNUSED, int port_there UNUSED,
                      int port_here UNUSED)
{
    struct flight *flight = arg;
    const char *method = flight->call->method;
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (flight->asked && !reads) {
        flight->cut = true;
        return CURL_PREREQFUNC_ABORT;
    }
    flight->asked = true;
    return CURL_PREREQFUNC_OK;
}

/* ---- one flight -------------------------------------------------------------------------- */

static void set_headers(struct flight *flight, bool has_body, bool chunked)
{
    const struct http_call *call = flight->call;
    struct curl_slist *list = NULL;
    bool typed = false;
    for (size_t i = 0; i < HTTP_HEADERS_MAX && call->headers[i] != NULL; i++) {
        list = curl_slist_append(list, call->headers[i]);
        typed = typed || strncasecmp(call->headers[i], "content-type:", 13) == 0;
    }
    /* Waiting for "100 Continue" costs a second where the server does not say it. */
    list = curl_slist_append(list, "Expect:");
    if (chunked)
        list = curl_slist_append(list, "Transfer-Encoding: chunked");
    if (has_body && !typed)
        list = curl_slist_append(list, "Content-Type:");
    flight->headers = list;
    curl_easy_setopt(flight->easy, CURLOPT_HTTPHEADER, list);
}

static void set_source(struct flight *flight)
{
    CURL *easy = flight->easy;
    int64_t size = flight->call->source.size;
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, flight);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, flight);
    if (size >= 0)
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
}

static void set_method(struct flight *flight)
{
    const struct http_call *call = flight->call;
    CURL *easy = flight->easy;
    bool from_source = call->source.read != NULL;
    bool has_body = from_source || call->data.len > 0 || strcmp(call->method, "POST") == 0 ||
                    strcmp(call->method, "PUT") == 0;
    if (strcmp(call->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (from_source) {
        set_source(flight);
    } else if (has_body) {
        /* A small body given whole leaves together with the headers. */
        const void *data = call->data.len > 0 ? call->data.data : (const uint8_t *)"";
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, data);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->data.len);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
    set_headers(flight, has_body, from_source && call->source.size < 0);
}

static void flight_begin(struct flight *flight)
{
    struct http_client *client = flight->client;
    struct http_call *call = flight->call;
    buf_clear(&call->body);
    buf_clear(&call->head);
    call->err = OK;
    call->status = 0;
    flight->stopped = OK;
    flight->asked = false;
    flight->cut = false;
    flight->resume_us = 0;
    flight->tries++;
    CURL *easy = flight->easy;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, flight);
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_S);
    if (client->options.ca_file != NULL && client->options.ca_file[0] != '\0')
        curl_easy_setopt(easy, CURLOPT_CAINFO, client->options.ca_file);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)client->options.buffer_size);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)client->options.buffer_size);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, flight);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, flight->error);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)client->options.connect_ms);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(client->options.stall_ms / 1000 + 1));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    if (client->options.agent != NULL)
        curl_easy_setopt(easy, CURLOPT_USERAGENT, client->options.agent);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, flight);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, flight);
    curl_slist_free_all(flight->headers);
    flight->headers = NULL;
    set_method(flight);
    curl_multi_add_handle(client->multi, easy);
}

/* The server is not one that is trusted, or what is to be trusted cannot be read: that stays so
 * until somebody sees to it. */
static bool is_untrusted(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_CERTPROBLEM;
}

/* What curl's result means: whether something may have happened. */
static int err_of(const struct flight *flight, CURLcode code)
{
    if (flight->stopped != OK)
        return flight->stopped;
    if (code == CURLE_OK)
        return OK;
    if (flight->asked)
        return ERR_UNKNOWN;
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return ERR_INVALID;
    return is_untrusted(code) ? ERR_DENIED : ERR_AGAIN;
}

/* Milliseconds to wait for another try, or -1 for none. */
static int64_t pause_ms(const struct flight *flight)
{
    const struct http_call *call = flight->call;
    if (flight->tries >= flight->client->options.tries)
        return -1;
    if (call->err == ERR_AGAIN)
        return 50ll << (2 * (flight->tries - 1));
    struct bytes after;
    if (call->err != OK || call->status != 503 || !http_header(call, "retry-after", &after))
        return -1;
    uint64_t ms;
    if (!http_retry_after_ms(call, &ms) || ms == 0)
        return 100;
    return ms < PAUSE_MAX_MS ? (int64_t)ms : (int64_t)PAUSE_MAX_MS;
}

/* Takes what curl says of an ended transfer. True when the call is over, false when it waits
 * for another try. */
static bool flight_end(struct flight *flight, const struct http_feed *feed, CURLcode code)
{
    struct http_client *client = flight->client;
    struct http_call *call = flight->call;
    struct clock *clock = client->options.clock;
    long status = 0;
    curl_easy_getinfo(flight->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(client->multi, flight->easy);
    call->status = (int)status;
    call->err = err_of(flight, code);
    if (call->err != OK)
        snprintf(call->why, sizeof(call->why), "%s",
                 flight->cut                ? "the connection ended before an answer came"
                 : flight->error[0] != '\0' ? flight->error
                                            : curl_easy_strerror(code));
    flight->error[0] = '\0';
    int64_t ms = feed->again != NULL ? feed->again(feed->arg, call) : pause_ms(flight);
    if (ms < 0 || clock == NULL || rewind_body(flight) != OK)
        return true;
    flight->resume_us = clock->mono_us(clock) + (uint64_t)ms * 1000 + 1;
    return false;
}

/* ---- many flights ------------------------------------------------------------------------ */

struct fleet {
    struct http_client *client;
    const struct http_feed *feed;
    struct flight flights[HTTP_PARALLEL_MAX];
    unsigned parallel;
    unsigned busy;
    bool dry; /* the feed has no more */
    int err;
};

static void fleet_fill(struct fleet *fleet)
{
    struct http_client *client = fleet->client;
    for (unsigned i = 0; i < fleet->parallel && !fleet->dry && fleet->err == OK; i++) {
        struct flight *flight = &fleet->flights[i];
        if (flight->call != NULL)
            continue;
        struct http_call *call = fleet->feed->next(fleet->feed->arg);
        if (call == NULL) {
            fleet->dry = true;
            return;
        }
        CURL *easy = client->n_idle > 0 ? client->idle[--client->n_idle] : curl_easy_init();
        if (easy == NULL) {
            call->err = ERR_AGAIN;
            fleet->err = fleet->feed->done(fleet->feed->arg, call);
            continue;
        }
        *flight = (struct flight){.client = client, .call = call, .easy = easy};
        fleet->busy++;
        flight_begin(flight);
    }
}

/* Frees the place of a flight that is over. */
static void flight_clear(struct fleet *fleet, struct flight *flight)
{
    curl_slist_free_all(flight->headers);
    fleet->client->idle[fleet->client->n_idle++] = flight->easy;
    flight->call = NULL;
    flight->headers = NULL;
    fleet->busy--;
}

static void fleet_reap(struct fleet *fleet)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(fleet->client->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        char *private = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        struct flight *flight = (struct flight *)(void *)private;
        if (!flight_end(flight, fleet->feed, code))
            continue;
        struct http_call *call = flight->call;
        flight_clear(fleet, flight);
        int err = fleet->feed->done(fleet->feed->arg, call);
        if (fleet->err == OK)
            fleet->err = err;
    }
}

/* Starts the flights whose pause is over; gives how long poll may wait. */
static int fleet_resume(struct fleet *fleet)
{
    int wait_ms = 1000;
    for (unsigned i = 0; i < fleet->parallel; i++) {
        struct flight *flight = &fleet->flights[i];
        if (flight->call == NULL || flight->resume_us == 0)
            continue;
        struct clock *clock = fleet->client->options.clock;
        uint64_t now = clock->mono_us(clock);
        if (now >= flight->resume_us) {
            flight_begin(flight);
            wait_ms = 0;
        } else if ((flight->resume_us - now) / 1000 < (uint64_t)wait_ms) {
            wait_ms = (int)((flight->resume_us - now) / 1000) + 1;
        }
    }
    return wait_ms;
}

int http_many(struct http_client *client, unsigned parallel, const struct http_feed *feed)
{
    struct fleet fleet = {.client = client, .feed = feed};
    fleet.parallel = parallel == 0                  ? 1
                     : parallel < HTTP_PARALLEL_MAX ? parallel
                                                    : HTTP_PARALLEL_MAX;
    fleet_fill(&fleet);
    while (fleet.busy > 0 && fleet.err == OK) {
        int running;
        CURLMcode code = curl_multi_perform(client->multi, &running);
        if (code != CURLM_OK) {
            fleet.err = ERR_UNKNOWN;
            break;
        }
        fleet_reap(&fleet);
        if (fleet.err != OK)
            break;
        fleet_fill(&fleet);
        int wait_ms = fleet_resume(&fleet);
        if (fleet.busy > 0 && wait_ms > 0)
            (void)curl_multi_poll(client->multi, NULL, 0, wait_ms, NULL);
    }
    for (unsigned i = 0; i < fleet.parallel; i++) {
        struct flight *flight = &fleet.flights[i];
        if (flight->call == NULL)
            continue;
        if (flight->resume_us == 0)
            curl_multi_remove_handle(client->multi, flight->easy);
        flight_clear(&fleet, flight);
    }
    return fleet.err;
}

static struct http_call *one_next(void *arg)
{
    struct http_call **call = arg;
    struct http_call *next = *call;
    *call = NULL;
    return next;
}

static int one_done(void *arg UNUSED, struct http_call *call UNUSED)
{
    return OK;
}

int http_call(struct http_client *client, struct http_call *call)
{
    struct http_call *left = call;
    struct http_feed feed = {.next = one_next, .done = one_done, .arg = &left};
    int err = http_many(client, 1, &feed);
    if (err != OK && call->err == OK)
        call->err = err;
    return call->err;
}
