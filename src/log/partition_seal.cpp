// Sealing: moving bytes from head into segments; and checkpoints: making that durable and giving head's copy back.
#include "base/log.h"
#include "log/partition_log.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace topicfs {

namespace {

// After so many bytes the sealer looks at other partitions.
constexpr std::uint64_t kSealAtOnceBytes = 16u << 20;
constexpr std::size_t kUnsyncedSegmentsMax = 32;
constexpr std::int64_t kSealRetryMs = 2000;
// Holes are punched by whole blocks of the file system.
constexpr std::uint64_t kPunchBlockBytes = 4096;
// A reply takes far less; who holds a view for longer lets head be punched later.
constexpr std::chrono::milliseconds kPinPatience{100};
// Of what retention.bytes keeps, head may hold so much beside its segment, but not less than some seconds' worth of
// batches: each checkpoint is a sync.
constexpr std::uint64_t kCopyPart = 2;
constexpr std::uint64_t kCopyBytesMin = 32u << 20;

void take_over(const PartitionLog::Checkpoint& checkpoint, RecoveryPoint& point) {
    point.sealed_end = checkpoint.sealed_end;
    point.sealed_end_offset = checkpoint.sealed_end_offset;
    point.segment_base = checkpoint.segment_base;
    point.segment_bytes = checkpoint.segment_bytes;
    point.last_time = checkpoint.last_time;
}

}  // namespace

Result<std::uint64_t> PartitionLog::seal_due(BatchBuilder& builder, bool all) {
    const std::scoped_lock lock(seal_mutex_);
    const std::int64_t scheduled = seal_scheduled_.exchange(INT64_MAX);
    // By the steady clock: by the other one, should it be set back, what is unsealed would not grow old for as long.
    bool is_old = scheduled > 0 && scheduled <= env_.clock.monotonic_ms();
    std::shared_ptr<Head> open;
    {
        const std::scoped_lock state(mutex_);
        open = head_;
    }
    std::uint64_t done = 0;
    bool may_copy = true;
    if (!open || failed_) {
        note_backlog(0);  // Others need not hurry for what cannot be sealed.
        return done;
    }
    const std::shared_ptr<const TopicSettings> now = settings();
    Position log_end;
    for (;;) {
        TOPICFS_TRY_ASSIGN(log_end, observe());
        const Position sealed = sealed_end();
        if (log_end <= sealed || (!all && (done >= kSealAtOnceBytes || !may_copy))) {
            break;
        }
        const std::uint64_t unsealed = log_end - sealed;
        const std::int64_t age = env_.clock.now() - times_->time_at(sealed);
        is_old = is_old || age >= static_cast<std::int64_t>(now->seal_ms);
        if (!all && unsealed < now->seal_bytes && !is_old) {
            break;
        }
        if (!all && pause_sealing()) {
            return done;
        }
        note_backlog(unsealed);
        seal_pace_.note(unsealed, env_.seal_backlog != nullptr ? env_.seal_backlog->bytes() : 0);
        const std::int64_t begin_ms = env_.clock.monotonic_ms();
        const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(unsealed, now->seal_bytes));
        if (auto outcome = seal_batch(*open, builder, *now, bytes); !outcome) {
            note_backlog(0);
            if (env_.work != nullptr) {
                const std::int64_t due = env_.clock.monotonic_ms() + kSealRetryMs;
                seal_scheduled_ = due;
                env_.work->seal_at(*this, due);
            }
            return std::move(outcome).error();
        }
        seal_pace_.sealed(bytes, static_cast<std::uint64_t>(env_.clock.monotonic_ms() - begin_ms));
        bound_copy(*now);
        may_copy = env_.work == nullptr || env_.work->note_copied(bytes);
        done += bytes;
        is_old = false;
    }
    note_backlog(log_end - std::min(log_end, sealed_end()));
    const bool is_early = scheduled != INT64_MAX && scheduled > env_.clock.monotonic_ms();
    if (done == 0 && is_early && log_end > sealed_end() && env_.work != nullptr) {
        // It stays due when it was.
        std::int64_t none = INT64_MAX;
        if (seal_scheduled_.compare_exchange_strong(none, scheduled)) {
            env_.work->seal_at(*this, scheduled);
        }
    }
    schedule_seal(log_end);
    return done;
}

// Seals what lies before `upto` and is not sealed yet, and nothing behind it.
Result<void> PartitionLog::seal_upto(Position upto) {
    const std::scoped_lock lock(seal_mutex_);
    BatchBuilder builder;
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Head> open, head());
    const std::shared_ptr<const TopicSettings> now = settings();
    for (Position sealed = sealed_end(); sealed < upto; sealed = sealed_end()) {
        const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(upto - sealed, now->seal_bytes));
        TOPICFS_TRY(seal_batch(*open, builder, *now, bytes));
        if (env_.work != nullptr) {
            (void)env_.work->note_copied(bytes);
        }
    }
    return {};
}

// What was sealed is on the disk twice until a checkpoint. Where the user has said how many bytes are to be kept, and
// they are few, that copy is kept small beside them.
void PartitionLog::bound_copy(const TopicSettings& settings) {
    if (env_.work == nullptr || !settings.retention_bytes) {
        return;
    }
    const Position copied_from = std::max(durable_sealed_end_.load(), checkpoint_asked_);
    if (sealed_end() - copied_from >= std::max(*settings.retention_bytes / kCopyPart, kCopyBytesMin)) {
        checkpoint_asked_ = sealed_end();
        env_.work->checkpoint_soon();
    }
}

// Tells the store's backlog what is unsealed here. What this partition does not say, as it is not sealed, is not known.
void PartitionLog::note_backlog(std::uint64_t lag) {
    if (env_.seal_backlog != nullptr) {
        env_.seal_backlog->change(std::exchange(noted_backlog_, lag), lag);
    }
}

// A segment keeps its descriptors until it is synced, and the sealer waits for no sync: where there are too many of
// them, the flusher is asked for a checkpoint, and sealing goes on after that.
bool PartitionLog::pause_sealing() {
    if (env_.work == nullptr || unsynced_segments() < kUnsyncedSegmentsMax) {
        return false;
    }
    seal_scheduled_ = 0;  // Appends need not ask for it.
    seal_paused_ = true;
    if (unsynced_segments() < kUnsyncedSegmentsMax) {
        // A checkpoint has ended meanwhile, and perhaps before it could see that somebody waits for it.
        seal_paused_ = false;
        seal_scheduled_ = INT64_MAX;
        return false;
    }
    env_.work->checkpoint_soon();
    return true;
}

void PartitionLog::resume_sealing() {
    if (seal_paused_.exchange(false)) {
        seal_scheduled_ = INT64_MAX;
        if (const auto log_end = end()) {
            schedule_seal(*log_end);
        }
    }
}

SealStatus PartitionLog::seal_status(std::uint64_t lag, const TopicSettings& settings) const {
    SealStatus status;
    status.lag_bytes = lag;
    if (settings.compression_type != Codec::kNone) {
        status.level = seals_cheaper_ ? cheaper_level_.load() : settings.compression_level();
    }
    status.cheaper_batches = cheaper_batches_;
    return status;
}

Result<void> PartitionLog::seal_batch(Head& open, BatchBuilder& builder, const TopicSettings& settings,
                                      std::uint32_t bytes) {
    const SealedEnd from = sealed_end_pair();
    const std::span<std::byte> raw = builder.raw(bytes);
    TOPICFS_TRY_ASSIGN(const std::size_t have, open.read(from.position, raw));
    if (have != bytes) {
        Error error = system_error(EIO, "seal", directory_);
        error.detail = "head is shorter than it was";
        return error;
    }
    BatchHeader header;
    header.base_position = from.position;
    header.base_offset = from.offset;
    header.times = times_->slice(from.position, from.position + bytes);
    const int asked_for = settings.compression_level();
    const int level = seal_pace_.level(settings.compression_type, asked_for);
    note_opened_offset(from, raw, settings);
    TOPICFS_TRY_ASSIGN(const BatchBuilder::Batch batch,
                       builder.build(std::move(header), settings.compression_type, level, settings.record_delimiter));
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Segment> segment, segment_for(batch, settings));
    TOPICFS_TRY(segment->append_batch(batch.header, batch.bytes));
    cheaper_level_ = level;
    seals_cheaper_ = level != asked_for;
    cheaper_batches_ += seals_cheaper_ ? 1 : 0;
    sealed_raw_bytes_ += bytes;
    sealed_stored_bytes_ += batch.bytes.size();
    ++sealed_batches_;
    {
        const std::scoped_lock lock(mutex_);
        sealed_end_offset_ = batch.header.end_offset();
        sealed_end_.store(batch.header.end_position());
    }
    // Where nothing is behind it yet, the next append says when it came.
    const std::scoped_lock growth(growth_mutex_);
    unsealed_since_ms_ = times_->time_at(batch.header.end_position()).value;
    return {};
}

// The segment that the batch goes to: the newest, or a new one.
Result<std::shared_ptr<Segment>> PartitionLog::segment_for(const BatchBuilder::Batch& batch,
                                                           const TopicSettings& settings) {
    std::shared_ptr<Segment> newest;
    {
        const std::scoped_lock lock(mutex_);
        if (!segments_->empty() && !new_segment_) {
            newest = segments_->back();
        }
    }
    if (newest) {
        TOPICFS_TRY_ASSIGN(const bool room, has_room(*newest, batch, settings));
        if (room) {
            return newest;
        }
        TOPICFS_TRY(newest->drop_tail());
    }
    if (newest && newest->bytes() == 0 && newest->base() == batch.header.base_position) {
        // Its first batch could not be written, and now it would have another name: two of one base are never left
        // behind.
        TOPICFS_TRY(env_.fs.unlink(newest->path()));
        replace_newest(newest->base(), nullptr);
    }
    TOPICFS_TRY(bound_unsynced());
    TOPICFS_TRY_ASSIGN(auto created,
                       Segment::create(env_.fs, directory_, batch.header.base_position, batch.header.codec));
    replace_newest(created->base(), created);
    look_at_directory();
    const std::scoped_lock lock(mutex_);
    new_segment_ = false;
    newest_origin_ = Segment::Origin{batch.header.codec, batch.header.times.front().time};
    directory_dirty_ = true;
    return created;
}

std::size_t PartitionLog::unsynced_segments() const {
    const std::shared_ptr<const SegmentList> all = segments();
    const auto synced =
        std::find_if(all->rbegin(), all->rend(), [](const auto& s) { return s->synced_bytes() == s->bytes(); });
    return static_cast<std::size_t>(synced - all->rbegin());
}

// For callers that are no sealing thread, and wait: the oldest is synced on the way.
Result<void> PartitionLog::bound_unsynced() {
    const std::shared_ptr<const SegmentList> all = segments();
    const std::size_t unsynced = unsynced_segments();
    if (unsynced < kUnsyncedSegmentsMax) {
        return {};
    }
    const std::shared_ptr<Segment>& oldest = (*all)[all->size() - unsynced];
    auto synced = oldest->sync(true);
    if (!synced && !lacks_descriptors(synced.error())) {
        fail(synced.error());
    }
    oldest->close_idle();
    return synced;
}

// Takes the newest segment off the list if it begins at `base` (what recovery, or a failed write, left of it was no
// batch), and puts `segment` there, if it is one.
void PartitionLog::replace_newest(Position base, std::shared_ptr<Segment> segment) {
    const std::scoped_lock lock(mutex_);
    auto changed = std::make_shared<SegmentList>(*segments_);
    if (!changed->empty() && changed->back()->base() == base) {
        changed->pop_back();
    }
    if (segment) {
        changed->push_back(std::move(segment));
    }
    segments_ = std::move(changed);
}

Result<bool> PartitionLog::has_room(Segment& segment, const BatchBuilder::Batch& batch, const TopicSettings& settings) {
    if (segment.bytes() == 0) {
        // Only its first batch failed: the file is used if it has the right name.
        return segment.path().ends_with(codec_file_suffix(batch.header.codec));
    }
    if (!newest_origin_) {
        TOPICFS_TRY_ASSIGN(newest_origin_, segment.origin());
    }
    const std::int64_t age = newest_origin_ ? env_.clock.now() - newest_origin_->first_time : 0;
    return newest_origin_ && newest_origin_->codec == batch.header.codec &&
           age < static_cast<std::int64_t>(settings.segment_ms) &&
           segment.bytes() + batch.bytes.size() <= settings.segment_bytes;
}

PartitionLog::SealedEnd PartitionLog::sealed_end_pair() const {
    const std::scoped_lock lock(mutex_);
    return {sealed_end_.load(), sealed_end_offset_};
}

bool PartitionLog::needs_checkpoint() const {
    return !failed_ && (durable_sealed_end_.load() < sealed_end_.load() || punch_waits_);
}

std::uint64_t PartitionLog::sealed_bytes_in_head() const {
    const Position given_back = unpunched_from_.load();
    const Position sealed = sealed_end();
    return failed_ || sealed <= given_back ? 0 : sealed - given_back;
}

PartitionLog::Unsealed PartitionLog::unsealed() const {
    const Position sealed = sealed_end();
    const Position log_end = observed_end_.load();
    return {failed_ || log_end <= sealed ? 0 : log_end - sealed, settings()->seal_bytes};
}

Result<void> PartitionLog::checkpoint() {
    if (!needs_checkpoint()) {
        return {};
    }
    if (durable_sealed_end_.load() == sealed_end_.load()) {
        TOPICFS_TRY_ASSIGN(const std::shared_ptr<Head> open, head());
        return punch_published(*open);
    }
    Checkpoint checkpoint = begin_checkpoint();
    TOPICFS_TRY(sync_segments(checkpoint));
    auto committed = recovery_->commit([&](RecoveryPoint& point) { take_over(checkpoint, point); });
    if (!committed) {
        if (!lacks_descriptors(committed.error())) {
            fail(committed.error());
        }
        return committed;
    }
    return finish_checkpoint(checkpoint);
}

PartitionLog::Checkpoint PartitionLog::begin_checkpoint() {
    Checkpoint checkpoint;
    const std::scoped_lock sealing(seal_mutex_);  // so that sealed end, segments and times belong together
    checkpoint.sealed_end = sealed_end_.load();
    checkpoint.last_time =
        checkpoint.sealed_end.value == 0 ? TimestampMs{0} : times_->time_at(Position{checkpoint.sealed_end.value - 1});
    const std::scoped_lock lock(mutex_);
    checkpoint.sealed_end_offset = sealed_end_offset_;
    for (const auto& segment : *segments_) {
        // The index of a segment that is closed since its last sync is not durable yet.
        const bool closed = segment != segments_->back();
        if (segment->synced_bytes() < segment->bytes() || (closed && segment->index_needs_sync())) {
            checkpoint.segments.emplace_back(segment, segment->bytes());
        }
    }
    if (!segments_->empty()) {
        checkpoint.segment_base = segments_->back()->base();
        checkpoint.segment_bytes = segments_->back()->bytes();
    }
    checkpoint.new_files = std::exchange(directory_dirty_, false);
    return checkpoint;
}

Result<void> PartitionLog::sync_segments(const Checkpoint& checkpoint) {
    Result<void> synced;
    for (const auto& [segment, bytes] : checkpoint.segments) {
        const bool closed = segment->base() != checkpoint.segment_base;  // Its index changes no more.
        if (synced) {
            synced = segment->sync(closed);
        }
    }
    if (synced && checkpoint.new_files) {
        synced = sync_directory(env_.fs, directory_);
    }
    if (!synced && lacks_descriptors(synced.error())) {
        // Nothing was tried: the next checkpoint does it.
        const std::scoped_lock lock(mutex_);
        directory_dirty_ = directory_dirty_ || checkpoint.new_files;
        return synced;
    }
    if (!synced) {
        // What was not written may be gone from the page cache too; head has it, and nothing more is punched.
        fail(synced.error());
    }
    return synced;
}

Result<void> PartitionLog::publish_checkpoint(Checkpoint& checkpoint) {
    for (const auto& [segment, bytes] : checkpoint.segments) {
        if (auto noted = segment->note_synced(bytes); !noted) {
            fail(noted.error());
            return noted;
        }
        if (segment->base() != checkpoint.segment_base) {
            segment->note_index_synced();
        }
    }
    TOPICFS_TRY(recovery_->publish([&](RecoveryPoint& point) { take_over(checkpoint, point); }));
    checkpoint.sequence = recovery_->point().sequence;
    return {};
}

Result<void> PartitionLog::finish_checkpoint(const Checkpoint& checkpoint) {
    if (checkpoint.sequence != 0) {
        recovery_->note_synced(checkpoint.sequence);
    }
    durable_sealed_end_.store(checkpoint.sealed_end);
    times_->forget_before(checkpoint.sealed_end);
    resume_sealing();
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Head> open, head());
    const std::uint64_t whole_blocks = (checkpoint.sealed_end - open->base()) / kPunchBlockBytes * kPunchBlockBytes;
    const Position to = open->base() + whole_blocks;
    if (to > punched_end_.load()) {
        TOPICFS_TRY(recovery_->publish([&](RecoveryPoint& point) { point.punched_end = to; }));
        punched_end_.store(to);
    }
    return punch_published(*open);
}

// Gives back what lies below the punched end, which was published. Where views of it are held for long, the next round
// does it.
Result<void> PartitionLog::punch_published(Head& open) {
    const Position from = unpunched_from_.load();
    const Position to = punched_end_.load();
    if (to <= from) {
        punch_waits_ = false;
        return {};
    }
    punch_waits_ = !head_pins_.wait_for_earlier(kPinPatience);
    if (punch_waits_) {
        return {};
    }
    TOPICFS_TRY(open.punch(from, to));
    unpunched_from_.store(to);
    return {};
}

Result<void> PartitionLog::sync_file_system() {
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Head> open, head());
    TOPICFS_TRY_ASSIGN(const auto file, open->file());
    return env_.fs.syncfs(*file);
}

}  // namespace topicfs
