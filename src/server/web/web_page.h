// The page at /: one file of HTML, CSS and JavaScript inside the program, without any other resource.
#pragma once

#include "server/http_types.h"

namespace qasr::server {

Response web_page();

}  // namespace qasr::server
