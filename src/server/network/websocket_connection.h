// A WebSocket: messages to a SocketHandler, answers through a queue, pings to silent clients.
#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <memory>

#include "server/network/http_connection.h"

namespace qasr::server {

/// Answers the request to upgrade and hands messages to the decision's handler from then on.
void open_websocket(Transport&& transport, const beast::http::request_header<>& request, SocketDecision decision,
                    std::shared_ptr<NetworkContext> context);

}  // namespace qasr::server
