Config = {
    rentFirst = 1200,
    rentEvery = 6000,
}
