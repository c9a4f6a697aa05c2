console.log("tidy: nothing checked yet")
