Config = {
    stock = 200,
    restockSeconds = 5,
    sells = { 'water', 'bread', 'sandwich', 'coffee', 'beer', 'bandage', 'repairkit', 'rope', 'flashlight' },
}
