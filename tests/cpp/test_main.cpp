#define BOOST_TEST_MODULE kappaflow
#include <boost/test/included/unit_test.hpp>
