#include "webhook_keys.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

/* Letters and digits, with what may join them. */
static bool parse_routing_key(const struct secret *secret, struct signature_keys *ret, const char **wrong)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    /* The last byte stays 0, so that it can be read as a string. */
    if (secret->len >= SIGNATURE_MAX_KEY || strspn(secret->text, allowed) != secret->len) {
        *wrong = "should be the integration key of a PagerDuty service, 32 letters and digits";
        return false;
    }
    ret->n = 1;
    ret->len[0] = secret->len;
    memcpy(ret->key[0], secret->text, secret->len);
    return true;
}

static bool read_signing(const struct config_webhook *webhook, struct signature_keys *ret, char *why,
                         size_t why_size)
{
    char credential[80], reason[400];
    struct secret secret;
    const char *wrong;
    snprintf(credential, sizeof credential, "webhook-%s", webhook->name);
    bool is_signed = format_is_signed(webhook->format);
    if (!is_signed && webhook->format != FORMAT_PAGERDUTY)
        return true;
    if (!secret_read(webhook->secret_file, credential, NULL, true, &secret, reason, sizeof reason)) {
        snprintf(why, why_size, "webhook \"%s\": secret: %s", webhook->name, reason);
        return false;
    }
    bool fine = is_signed ? signature_keys_parse(secret.text, secret.len, ret, &wrong)
                          : parse_routing_key(&secret, ret, &wrong);
    secret_wipe(&secret);
    if (!fine)
        snprintf(why, why_size, "webhook \"%s\": secret %s%s: %s", webhook->name,
                 webhook->secret_file ? "file " : "credential ",
                 webhook->secret_file ? webhook->secret_file : credential, wrong);
    return fine;
}

/* A key that is locked would ask for its password on the terminal. */
static int no_password(char *out, int size, int writing, void *user)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)user;
    return -1;
}

/* NULL when the text holds a certificate and the key that belongs to it. */
static const char *check_client(const struct secret *client)
{
    BIO *bio = BIO_new_mem_buf(client->text, (int)client->len);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;
    if (bio)
        (void)BIO_reset(bio);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    const char *wrong = !certificate ? "holds no certificate in PEM"
                        : !key       ? "holds no private key in PEM, without a password"
                        : X509_check_private_key(certificate, key) != 1
                            ? "holds a certificate and a key that do not belong together"
                            : NULL;
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return wrong;
}

static bool read_client(const struct config_webhook *webhook, struct secret *ret, char *why, size_t why_size)
{
    char reason[400];
    if (!webhook->client_cert_file)
        return true;
    if (!secret_read(webhook->client_cert_file, NULL, NULL, true, ret, reason, sizeof reason)) {
        snprintf(why, why_size, "webhook \"%s\": client certificate: %s", webhook->name, reason);
        return false;
    }
    const char *wrong = check_client(ret);
    if (!wrong)
        return true;
    secret_wipe(ret);
    snprintf(why, why_size, "webhook \"%s\": client certificate file %s: %s", webhook->name,
             webhook->client_cert_file, wrong);
    return false;
}

bool webhook_keys_read(const struct config_webhook *webhook, struct webhook_keys *ret, char *why,
                       size_t why_size)
{
    *ret = (struct webhook_keys){0};
    if (read_signing(webhook, &ret->signing, why, why_size) &&
        read_client(webhook, &ret->client, why, why_size))
        return true;
    webhook_keys_wipe(ret);
    return false;
}

void webhook_keys_wipe(struct webhook_keys *keys)
{
    signature_keys_wipe(&keys->signing);
    secret_wipe(&keys->client);
}
