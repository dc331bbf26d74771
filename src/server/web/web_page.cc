#include "server/web/web_page.h"

// web/index.html, put into the program by the assembler (page_data.S.in).
extern "C" const char qasr_web_page_begin[], qasr_web_page_end[];

namespace qasr::server {

Response web_page() {
  return {.content_type = "text/html; charset=utf-8",
          .body = {qasr_web_page_begin, qasr_web_page_end},
          .headers = {{"Cache-Control", "no-cache"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Content-Security-Policy",
                       "default-src 'none'; script-src 'unsafe-inline' blob:; worker-src blob:; style-src "
                       "'unsafe-inline'; connect-src 'self'; media-src blob:; img-src data:; base-uri 'none'; "
                       "form-action 'none'; frame-ancestors 'none'"}}};
}

}  // namespace qasr::server
