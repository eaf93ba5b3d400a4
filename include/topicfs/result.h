// Result<T>: a value or an Error. The method names are those of C++23's std::expected, so that it can take its place.
//
// Reading the value of a failed Result, or the error of a good one, is a programmer's error and is asserted.
#pragma once

#include <topicfs/error.h>

#include <cassert>
#include <type_traits>
#include <utility>
#include <variant>

namespace topicfs {

template <typename T>
class [[nodiscard]] Result {
public:
    // Implicit on purpose: `return value;` and `return error;` are how functions end.
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }

    T& value() & {
        assert(has_value());
        return *std::get_if<0>(&state_);
    }
    const T& value() const& {
        assert(has_value());
        return *std::get_if<0>(&state_);
    }
    // By value, so that what is taken from a temporary does not end with it.
    T value() && {
        assert(has_value());
        return std::move(*std::get_if<0>(&state_));
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    Error& error() & {
        assert(!has_value());
        return *std::get_if<1>(&state_);
    }
    const Error& error() const& {
        assert(!has_value());
        return *std::get_if<1>(&state_);
    }
    Error&& error() && {
        assert(!has_value());
        return std::move(*std::get_if<1>(&state_));
    }

    template <typename U>
    T value_or(U&& other) const& {
        return has_value() ? value() : static_cast<T>(std::forward<U>(other));
    }

private:
    std::variant<T, Error> state_;
};

// Success without a value is `return {};`.
template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const { return error_.index() == 0; }
    explicit operator bool() const { return has_value(); }

    Error& error() & {
        assert(!has_value());
        return *std::get_if<1>(&error_);
    }
    const Error& error() const& {
        assert(!has_value());
        return *std::get_if<1>(&error_);
    }
    Error&& error() && {
        assert(!has_value());
        return std::move(*std::get_if<1>(&error_));
    }

private:
    std::variant<std::monostate, Error> error_;
};

}  // namespace topicfs

// Returns the error of `expression` from the function around it, if it has one.
#define TOPICFS_TRY(expression)                                        \
    do {                                                               \
        if (auto try_result = (expression); !try_result.has_value()) { \
            return std::move(try_result).error();                      \
        }                                                              \
    } while (false)

// Declares `declaration` with the value of `expression`, or returns its error from the function around it.
#define TOPICFS_TRY_ASSIGN(declaration, expression) \
    TOPICFS_TRY_ASSIGN_NAMED(TOPICFS_TRY_NAME(try_result_, __LINE__), declaration, expression)
#define TOPICFS_TRY_ASSIGN_NAMED(name, declaration, expression) \
    auto name = (expression);                                   \
    if (!name.has_value()) {                                    \
        return std::move(name).error();                         \
    }                                                           \
    declaration = std::move(name).value()
#define TOPICFS_TRY_NAME(prefix, line) TOPICFS_TRY_NAME_JOINED(prefix, line)
#define TOPICFS_TRY_NAME_JOINED(prefix, line) prefix##line
