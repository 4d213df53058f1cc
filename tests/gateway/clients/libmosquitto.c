/* An unchanged C program on libmosquitto. See README.md beside it for the command line that all clients share. */
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANY 64
#define MIDS 65536

struct batch {
    char prefix[128];
    int left;
};

static const char *host = "127.0.0.1", *id, *filters[MANY], *will[4];
static int port = 1883, version = MQTT_PROTOCOL_V5, qos[MANY], filter_count, last_dup;
static bool persistent;
static volatile bool ending;
static struct batch *batches[MIDS]; /* by message identifier */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void text(const char *name, const char *value, int length) {
    printf("\"%s\":\"", name);
    for (int at = 0; at < length; at++) {
        unsigned char octet = (unsigned char)value[at];
        if (octet == '"' || octet == '\\' || octet < 0x20) printf("\\u%04x", octet);
        else putchar(octet);
    }
    putchar('"');
}

static void line_end(void) {
    puts("}");
    fflush(stdout);
}

static void on_connect(struct mosquitto *client, void *unused, int code, int flags, const mosquitto_property *properties) {
    (void)unused, (void)properties;
    if (code) {
        printf("{\"event\":\"refused\",\"code\":%d", code);
        line_end();
        return;
    }
    printf("{\"event\":\"connected\",\"session\":%s", flags & 1 ? "true" : "false");
    line_end();
    if (flags & 1 || filter_count == 0) return;
    for (int at = 0; at < filter_count; at++) mosquitto_subscribe(client, NULL, filters[at], qos[at]);
}

static void on_disconnect(struct mosquitto *client, void *unused, int code, const mosquitto_property *properties) {
    (void)client, (void)unused, (void)code, (void)properties;
    printf("{\"event\":\"disconnected\"");
    line_end();
}

static void on_subscribe(struct mosquitto *client, void *unused, int mid, int count, const int *granted,
                         const mosquitto_property *properties) {
    (void)client, (void)unused, (void)mid, (void)properties;
    printf("{\"event\":\"subscribed\",\"codes\":[");
    for (int at = 0; at < count; at++) printf("%s%d", at ? "," : "", granted[at]);
    printf("]");
    line_end();
}

static void on_message(struct mosquitto *client, void *unused, const struct mosquitto_message *message,
                       const mosquitto_property *properties) {
    (void)client, (void)unused;
    printf("{\"event\":\"message\",");
    text("topic", message->topic, (int)strlen(message->topic));
    putchar(',');
    text("payload", message->payload, message->payloadlen);
    printf(",\"qos\":%d,\"retain\":%s,\"dup\":%s,\"user\":[", message->qos, message->retain ? "true" : "false",
           message->qos < 2 && last_dup ? "true" : "false");
    bool first = true;
    char *name, *value;
    const mosquitto_property *at = properties;
    while ((at = mosquitto_property_read_string_pair(at, MQTT_PROP_USER_PROPERTY, &name, &value, !first))) {
        printf("%s[", first ? "" : ",");
        printf("\"%s\",\"%s\"]", name, value);
        free(name);
        free(value);
        first = false;
    }
    printf("]");
    line_end();
}

static void on_publish(struct mosquitto *client, void *unused, int mid, int code, const mosquitto_property *properties) {
    (void)client, (void)unused, (void)code, (void)properties;
    pthread_mutex_lock(&lock);
    struct batch *batch = batches[mid % MIDS];
    batches[mid % MIDS] = NULL;
    bool done = batch && --batch->left == 0;
    pthread_mutex_unlock(&lock);
    if (done) {
        printf("{\"event\":\"acked\",");
        text("prefix", batch->prefix, (int)strlen(batch->prefix));
        line_end();
        free(batch);
    }
}

/* The library hands on no DUP; its log has it. */
static void on_log(struct mosquitto *client, void *unused, int level, const char *line) {
    (void)client, (void)unused, (void)level;
    const char *at = strstr(line, "received PUBLISH (d");
    if (at) last_dup = at[strlen("received PUBLISH (d")] == '1';
}

static void publish(struct mosquitto *client, const char *topic, int at_qos, bool retain, int count, const char *prefix) {
    bool deletion = count == 0;
    struct batch *batch = calloc(1, sizeof *batch);
    snprintf(batch->prefix, sizeof batch->prefix, "%s", prefix);
    batch->left = deletion ? 1 : count;
    for (int number = 0; number < (deletion ? 1 : count); number++) {
        char payload[256];
        int length = deletion ? 0 : snprintf(payload, sizeof payload, "%s-%d", prefix, number);
        mosquitto_property *properties = NULL;
        if (version == MQTT_PROTOCOL_V5)
            mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, "from", id);
        int mid = 0;
        pthread_mutex_lock(&lock); /* on_publish comes from the other thread, perhaps before this returns */
        int code = mosquitto_publish_v5(client, &mid, topic, length, payload, at_qos, retain, properties);
        batches[mid % MIDS] = batch;
        pthread_mutex_unlock(&lock);
        mosquitto_property_free_all(&properties);
        if (code != MOSQ_ERR_SUCCESS && code != MOSQ_ERR_NO_CONN) fprintf(stderr, "publish: %s\n", mosquitto_strerror(code));
    }
}

static void *network(void *given) {
    struct mosquitto *client = given;
    mosquitto_property *properties = NULL;
    if (version == MQTT_PROTOCOL_V5 && persistent)
        mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 3600);
    int code = mosquitto_connect_bind_v5(client, host, port, 20, NULL, properties);
    while (!ending) {
        if (code == MOSQ_ERR_SUCCESS) code = mosquitto_loop(client, 50, 1);
        if (code == MOSQ_ERR_SUCCESS || ending) continue;
        usleep(200 * 1000);
        code = mosquitto_reconnect(client);
    }
    for (int turn = 0; turn < 20 && mosquitto_loop(client, 20, 1) == MOSQ_ERR_SUCCESS; turn++) {}
    return NULL;
}

static void read_arguments(int count, char **words) {
    for (int at = 1; at < count; at++) {
        if (!strcmp(words[at], "--host")) host = words[++at];
        else if (!strcmp(words[at], "--port")) port = atoi(words[++at]);
        else if (!strcmp(words[at], "--unix")) host = words[++at], port = 0;
        else if (!strcmp(words[at], "--version")) version = atoi(words[++at]) == 5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311;
        else if (!strcmp(words[at], "--id")) id = words[++at];
        else if (!strcmp(words[at], "--persistent")) persistent = true;
        else if (!strcmp(words[at], "--filter")) filters[filter_count] = words[++at], qos[filter_count++] = atoi(words[++at]);
        else if (!strcmp(words[at], "--will")) for (int part = 0; part < 4; part++) will[part] = words[++at];
    }
}

int main(int count, char **words) {
    read_arguments(count, words);
    mosquitto_lib_init();
    struct mosquitto *client = mosquitto_new(id, !persistent, NULL);
    mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, version);
    /* With more at once 2.0.11 loses count of what mosquitto allows, also without anything between them. */
    mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, 10);
    mosquitto_threaded_set(client, true);
    if (will[0]) mosquitto_will_set(client, will[0], (int)strlen(will[1]), will[1], atoi(will[2]), atoi(will[3]));
    mosquitto_connect_v5_callback_set(client, on_connect);
    mosquitto_disconnect_v5_callback_set(client, on_disconnect);
    mosquitto_subscribe_v5_callback_set(client, on_subscribe);
    mosquitto_message_v5_callback_set(client, on_message);
    mosquitto_publish_v5_callback_set(client, on_publish);
    mosquitto_log_callback_set(client, on_log);
    pthread_t thread;
    pthread_create(&thread, NULL, network, client);
    char line[1024], verb[16], topic[512], prefix[128];
    while (fgets(line, sizeof line, stdin)) {
        int at_qos, retain, number;
        if (sscanf(line, "publish %511s %d %d %d %127s", topic, &at_qos, &retain, &number, prefix) == 5)
            publish(client, topic, at_qos, retain, number, prefix);
        else if (sscanf(line, "delete %511s %d", topic, &at_qos) == 2) publish(client, topic, at_qos, true, 0, "deleted");
        else if (sscanf(line, "%15s", verb) == 1 && !strcmp(verb, "quit")) break;
    }
    ending = true;
    mosquitto_disconnect_v5(client, 0, NULL);
    pthread_join(thread, NULL);
    mosquitto_destroy(client);
    return 0;
}
