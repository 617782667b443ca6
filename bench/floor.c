/* A handler of httpd's that answers from memory and does nothing else: no Python, no duties. What a request through it costs is the least
   that any handler in this httpd can cost; it stands beside the rows of embedded mode. The query says how many octets it sends. */

#include <stdlib.h>
#include <string.h>

#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"

static char body[65536];

static int answer(request_rec *r)
{
    if (!r->handler || strcmp(r->handler, "floor"))
        return DECLINED;
    long length = r->args ? atol(r->args) : 13;
    if (length < 0 || length > (long)sizeof(body))
        return HTTP_BAD_REQUEST;
    ap_set_content_type(r, "text/plain");
    ap_set_content_length(r, length);
    ap_rwrite(body, (int)length, r);
    return OK;
}

static void hooks(apr_pool_t *pool)
{
    (void)pool;
    memset(body, 'x', sizeof(body));
    ap_hook_handler(answer, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA floor_module = {STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, hooks, 0};
