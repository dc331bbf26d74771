// App: the routes of the server. Requests come in by Handler, work goes to WorkerPool and engines, answers go out by
// Exchange. Knows nothing of sockets.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "server/access_log.h"
#include "server/api_keys.h"
#include "server/exchange.h"
#include "server/metrics.h"
#include "server/realtime/live_stream.h"
#include "server/request_context.h"
#include "server/transcription.h"
#include "server/worker_pool.h"

namespace qasr::server {

struct ServedModel {
  std::string name;
  std::shared_ptr<const Engine> engine;
};

struct AppOptions {
  std::vector<ServedModel> models;             ///< at least one; the first is Realtime's default
  std::map<std::string, std::string> aliases;  ///< another name -> name of a model
  std::shared_ptr<const Aligner> aligner;      ///< word times for all models; null: requests for them are refused
  std::uint64_t max_upload_bytes = 0;
  double max_audio_s = 0;
  std::size_t max_queue = 0;  ///< uploads that wait for a worker
  int n_workers = 0;          ///< uploads that are read and transcribed at a time
  double timeout_s = 0;       ///< of a transcription, from its upload's end on
  int max_realtime = 0;       ///< Realtime sessions at a time
  double realtime_idle_s = 0, realtime_max_s = 0;
  std::string api_keys;                  ///< file; "": everybody may use the server
  std::vector<std::string> origins;      ///< for CORS; "*": all
  std::string access_log;                ///< file; "-": standard error; "": none
  std::function<int()> n_connections{};  ///< for metrics
  LiveStreamFactory open_stream = open_live_stream;
};

class App final : public Handler {
 public:
  /// @throws Error kInvalidArgument  keys or log cannot be read or written, an alias of no model
  explicit App(AppOptions options);
  ~App() override;

  std::unique_ptr<BodySink> on_request(const RequestHead& head, std::shared_ptr<Exchange> exchange) override;
  SocketDecision on_socket(const RequestHead& head) override;
  Response on_protocol_error(int status, const std::string& message) override;
  void on_tick() override;

  // Operations; the network's thread.
  /// Reads the keys again and opens the log anew. @throws Error: the old keys stay
  void reload();
  /// From now on new work is refused with 503.
  void drain();
  /// Nothing is under way any more.
  bool is_idle() const;
  /// Ends what is under way.
  void cancel_all(const ApiError& reason);
  /// Ends everything and waits for it: no exchange is answered any more. Before the network goes away.
  void shut_down();

  /// By name or alias. @throws ApiError 404
  const ServedModel& find_model(const std::string& name) const;

 private:
  class UploadSink;
  using Context = std::shared_ptr<RequestContext>;

  std::unique_ptr<BodySink> route(const RequestHead& head, const Context& context);
  void authorize(const RequestHead& head, RequestContext& context) const;
  void add_cors(const RequestHead& head, RequestContext& context) const;
  std::unique_ptr<BodySink> accept_upload(const RequestHead& head, const Context& context);
  void start(Form form, const Context& context);
  std::shared_ptr<SocketHandler> make_session(const std::string& model, const std::optional<ApiKey>& key,
                                              AccessEntry entry);
  void get_models(const RequestHead& head, RequestContext& context) const;
  void get_metrics(RequestContext& context);
  void check_ready() const;
  double now_s() const;

  const AppOptions options_;
  std::vector<ApiKey> keys_;  // the network's thread
  std::shared_ptr<Quotas> quotas_ = std::make_shared<Quotas>();
  AccessLog log_;
  std::shared_ptr<Metrics> metrics_ = std::make_shared<Metrics>();
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  std::vector<std::weak_ptr<Transcription>> transcriptions_;                                // the network's thread
  std::shared_ptr<std::atomic<int>> n_uploads_ = std::make_shared<std::atomic<int>>(0);     // being received
  std::shared_ptr<std::atomic<int>> n_unfinished_ = std::make_shared<std::atomic<int>>(0);  // being transcribed
  std::shared_ptr<std::atomic<int>> n_realtime_ = std::make_shared<std::atomic<int>>(0);
  bool draining_ = false;
  std::unique_ptr<WorkerPool> workers_;  // last: its threads use what is above
};

}  // namespace qasr::server
